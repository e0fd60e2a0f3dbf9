"""What is changed in a step's text, and what is read from it."""

from experiments.tpu_compiling.mlir_text import (
    MatrixProduct,
    location_names,
    matrix_products,
    with_device_generator,
    without_copies,
)

DROP_TOKEN = "vatt/DropToken/StatelessRandomUniformV2"


def test_locations_have_the_names_of_their_operations(step_text):
    names = location_names(step_text)
    assert names["#loc10"] == "vatt/video/encoder/block_0/self_attention/MatMul" and names["#loc11"] == DROP_TOKEN
    assert names["#loc12"].endswith("StatelessRandomUniformFullIntV2")
    assert "#loc" not in names and "#loc6" not in names


def test_a_copy_becomes_a_barrier(step_text):
    text = without_copies(step_text)
    assert "mhlo.copy" not in text
    assert "%0 = stablehlo.optimization_barrier %arg0 : tensor<4x3x151x32xbf16> loc(#loc9)" in text


def test_generators_become_the_devices_own(step_text):
    text, changed = with_device_generator(step_text)
    assert changed == 2 and "PHILOX" not in text and text.count("algorithm = DEFAULT") == 2
    # Two words of the state go in, and all three come out, for whoever draws next.
    assert (
        "%device_generator_1_in = stablehlo.slice %arg1 [0:2] : (tensor<3xui64>) -> tensor<2xui64> loc(#loc11)" in text
    )
    assert "%output = stablehlo.rng_bit_generator %device_generator_1_in" in text
    assert "-> (tensor<2xui64>, tensor<4x8xui32>) loc(#loc11)" in text
    assert "%output_state = stablehlo.concatenate %device_generator_1_out, %device_generator_1_rest, dim = 0" in text


def test_a_generator_that_the_code_names_stays(step_text):
    text, changed = with_device_generator(step_text, [DROP_TOKEN])
    assert changed == 1 and "%output_state, %output = stablehlo.rng_bit_generator %arg1, algorithm =  PHILOX" in text


def test_matrix_products_are_read_with_their_sizes(step_text):
    scores, plain = matrix_products(step_text)
    assert scores == MatrixProduct("vatt/video/encoder/block_0/self_attention/MatMul", 12, 151, 32, 151)
    assert plain == MatrixProduct("", 1, 8, 16, 4) and plain.flops == 2 * 8 * 16 * 4


def test_the_short_form_of_a_product_of_two_matrices_counts():
    """XLA's own text of `a @ b`, which names no axes."""
    text = "%0 = stablehlo.dot %arg0, %arg1, precision = [DEFAULT, DEFAULT] : (tensor<4x8xf32>, tensor<8x3xf32>) -> tensor<4x3xf32>"
    assert matrix_products(text) == [MatrixProduct("", 1, 4, 8, 3)]


def test_a_matrix_unit_is_filled_up_with_padding():
    product = MatrixProduct("", 12, 785, 64, 785)
    assert product.padded_flops(128) == 2 * 12 * 792 * 128 * 896
    assert MatrixProduct("", 1, 8, 128, 256).padded_flops(128) == MatrixProduct("", 1, 8, 128, 256).flops
    assert MatrixProduct("", 1, 256, 128, 8).padded_flops(128) == MatrixProduct("", 1, 8, 128, 256).flops
