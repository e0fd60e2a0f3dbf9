"""gin files that must be refused, each with one message."""

import ground

_PRETRAIN = "\n".join(ground.PRETRAIN) + "\n"
_LAST = r"""\
import os
from os import path
import antigravity as x
from __gin__ import dynamic_registration
include '/etc/passwd'
include 'given.gin'
include 'nowhere.gin'
include '..'
pretrain.model = @os.system
pretrain.model = @os.system()
pretrain.model = @gin.singleton
pretrain.model = @gin.singleton()
pretrain.model = @builtins.eval()
pretrain.model = @Size
pretrain.model = @Size()
pretrain.model = @VATT()
pretrain.model = 3
pretrain.model = None
pretrain.model = @a/b/c/VATT.layers
pretrain.model = %nothing
pretrain.model = %pretrain
os.system.command = 'true'
gin.macro.value = 3
gin.singleton.constructor = @VATT
pretrain.harmonizer = @pretrain()
pretrain.harmonizer = @Both()
pretrain.harmonizer = 'nothing'
pretrain.harmonizer = None
pretrain.steps = 0
pretrain.steps = -1
pretrain.steps = 1.5
pretrain.steps = True
pretrain.steps = None
pretrain.steps = '40'
pretrain.steps = [1]
pretrain.steps = 99999999999999999999
pretrain.steps = 1e400
pretrain.seed = -1
pretrain.seed = 4294967296
pretrain.batch_size = 0
pretrain.batch_size = 1
pretrain.batch_size = 9999999
pretrain.temperature = 0
pretrain.temperature = -0.07
pretrain.temperature = 1e-60
pretrain.temperature = 1e60
pretrain.learning_rate = -1
pretrain.learning_rate = 1e999
pretrain.final_learning_rate = 1.0
pretrain.warmup_steps = 6
pretrain.warmup_steps = -2
pretrain.clip_softness = -1
pretrain.dataset_weights = (0,)
pretrain.dataset_weights = (-1,)
pretrain.dataset_weights = (1, 2)
pretrain.datasets = ()
pretrain.datasets = 7
pretrain.precision = 'float16'
pretrain.tokenizer = 'letters'
pretrain.loss = 'mse'
pretrain.stepps = 3
pretrain = 3 = 4
pretrain.steps
pretrain.steps =
pretrain.steps = (
pretrain.steps = 'unclosed
pretrain.steps = 1 +
pretrain.steps = lambda: 3
pretrain.steps = __import__('os')
pretrain.steps = f'{1}'
/pretrain.steps = 3
pretrain..steps = 3
pretrain.steps.more = 3
VATT.layers = 0
VATT.layers = -3
VATT.layers = 100000
VATT.width = 0
VATT.width = 10000000
VATT.heads = 0
VATT.head_dim = -8
VATT.feed_forward = 0
VATT.word_dim = 0
VATT.feature_dim = 0
VATT.video_audio_dim = 0
VATT.video_text_dim = -1
VATT.video_patch = (0, 16, 16)
VATT.video_patch = (4, 16)
VATT.video_patch = (64, 64, 64)
VATT.waveform_patch = 0
VATT.waveform_patch = 999999
VATT.mel_bands = 0
VATT.dropout = 1.0
VATT.dropout = -0.1
VATT.drop_token_rate = 1.0
VATT.position_dropout = 2
VATT.preset = 'nothing'
VATT.modalities = ('video',)
VATT.modalities = ('smell',)
VATT.video = 'vit_nothing'
VATT.head = 'none'
ClipSpec.frames = 0
ClipSpec.frames = 2147483647
ClipSpec.image_size = 65536
ClipSpec.image_size = 1
ClipSpec.sample_rate_hz = 0
ClipSpec.sample_rate_hz = 2147483647
ClipSpec.frames_per_second = 0
ClipSpec.frames_per_second = 1e-30
ClipSpec.words = 0
ClipSpec.words = 2147483647
ClipSpec.candidates = -1
ClipSpec.sparse_seconds = -1
Augmentation.hue = 0.6\npretrain.augmentation = @Augmentation()
Augmentation.crop_area = (0.9, 0.1)\npretrain.augmentation = @Augmentation()
LinearSchedule.steps = 0\npretrain.harmonizer = @CL()
GradientCurriculum.schedule = 2.0\npretrain.harmonizer = @GradientCurriculum()
Both.schedule = @LinearSchedule()\npretrain.harmonizer = @Both()
CAGrad.c = -1\npretrain.harmonizer = @CAGrad()
Reweight.weights = (0, 0)\npretrain.harmonizer = @Reweight()
Reweight.weights = (1, 1, 1)\npretrain.harmonizer = @Reweight()
PCGrad.seed = -5\npretrain.harmonizer = @PCGrad()
FAMO.epsilon = 0\npretrain.harmonizer = @FAMO()
a = %b\nb = %a\npretrain.steps = %a
a = @VATT\npretrain.steps = %a
"""
WRONG = [_PRETRAIN + line.replace("\\n", "\n") + "\n" for line in _LAST.splitlines()]
