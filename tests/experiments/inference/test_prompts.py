import pytest

from experiments.inference.prompts import PROMPTS, fill_prompts
from experiments.running.command_line import BadInput


def test_names_are_split_into_words():
    names = ["ApplyEyeMakeup", "brush_hair", "dog", "red circle slides"]
    assert fill_prompts(names, ["{}"]) == ["apply eye makeup", "brush hair", "dog", "red circle slides"]


def test_the_prompts_of_a_class_stand_together():
    assert fill_prompts(["a b", "c"], ["{}", "this is {}!"]) == ["a b", "this is a b!", "c", "this is c!"]
    assert len(fill_prompts(["x"], PROMPTS)) == len(set(PROMPTS))


@pytest.mark.parametrize("prompts", [["a dog"], ["{} or {}"], []])
def test_a_prompt_without_one_place_for_the_name_is_refused(prompts):
    with pytest.raises(BadInput, match="--prompt should have one {}"):
        fill_prompts([], prompts)
