import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import top_k_accuracy_score

from experiments.inference.file_embeddings import Embedder
from experiments.inference.zero_shot import class_embeddings, near_text, zero_shot_figures

WORDS = {"a": 3, "red": 4, "dog": 5, "cat": 6}


def tokenizer(sentences):
    rows = [[WORDS[word] for word in sentence.decode().split()] for sentence in sentences.numpy()]
    return tf.constant([row + [0] * (6 - len(row)) for row in rows])


def test_a_class_is_the_mean_of_its_normalized_prompts(make_model):
    model = make_model()
    found = class_embeddings(Embedder(model), tokenizer, ["red_dog", "Cat"], ["{}", "a {}"])
    tokens = tokenizer(tf.constant(["red dog", "a red dog", "cat", "a cat"]))
    sentences = tf.math.l2_normalize(model({"text": tokens[:, None]})["video_text"]["text"][:, 0], axis=-1)
    np.testing.assert_allclose(found, [(sentences[0] + sentences[1]) / 2, (sentences[2] + sentences[3]) / 2], atol=1e-6)


def test_figures_agree_with_scikit_learn():
    generator = np.random.default_rng(0)
    clips, classes, labels = generator.normal(size=(60, 4)), generator.normal(size=(9, 4)), generator.integers(0, 9, 60)
    found = zero_shot_figures(clips, classes, labels)
    scores = clips @ (classes / np.linalg.norm(classes, axis=1, keepdims=True)).T
    for k in (1, 5):
        assert found[f"top{k}"] == top_k_accuracy_score(labels, scores, k=k, labels=range(9))
        assert found["intervals"][f"top{k}"]["low"] <= found[f"top{k}"] <= found["intervals"][f"top{k}"]["high"]
    assert (found["items"], found["classes"]) == (60, 9)
    assert found["chance"]["top1"] == pytest.approx(np.bincount(labels).max() / 60)


def test_a_class_that_is_as_similar_stands_before_the_right_one():
    classes = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    assert zero_shot_figures(classes, classes, np.arange(3))["top1"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("head", ["fine_and_coarse", "joint"])
def test_sound_gets_near_text_as_the_video_does(make_model, make_batch, head):
    model = make_model(head=head)
    outputs = model(make_batch(3))
    fine = outputs["video_audio"]["video"].numpy()
    np.testing.assert_allclose(near_text(model, "audio", fine), outputs["video_text"]["video"], atol=1e-6)
    windows = np.stack([fine, fine], axis=1)
    assert near_text(model, "audio", windows).shape == (3, 2, outputs["video_text"]["video"].shape[-1])
    assert near_text(model, "video", fine) is fine
