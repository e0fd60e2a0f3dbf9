"""Small problems that several methods solve: quadratic programs, max-min, normal forms."""
