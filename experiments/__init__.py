"""What people run. The only room that ties the model, the data and the harmonization together."""
