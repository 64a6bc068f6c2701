"""The networks of the table: all of torchvision's for classification, and of timm's one or two per family."""

from __future__ import annotations

from collections.abc import Sequence

from bench.backbones.external import timm_for
from bench.core.errors import ConfigError, did_you_mean

# fmt: off
TIMM = (
    "beit_base_patch16_224", "cait_xxs24_224", "coat_tiny", "coatnet_nano_rw_224", "convit_tiny", "convnext_tiny",
    "crossvit_tiny_240", "cspresnet50", "darknet53", "davit_tiny", "densenet121", "dla34", "dpn68",
    "edgenext_xx_small", "efficientformer_l1", "efficientnet_b0", "eva02_tiny_patch14_224", "fastvit_t8",
    "focalnet_tiny_srf", "ghostnet_100", "gmlp_ti16_224", "hardcorenas_a", "hgnet_tiny", "hiera_tiny_224",
    "hrnet_w18_small", "inception_next_tiny", "inception_v4", "levit_128s", "mambaout_femto",
    "maxvit_nano_rw_256", "mixer_s32_224", "mobilenetv2_100", "mobilenetv3_large_100", "mobileone_s0",
    "mobilevit_xxs", "mobilevitv2_050", "mvitv2_tiny", "nest_tiny", "nf_resnet50", "pit_ti_224", "poolformer_s12",
    "pvt_v2_b0", "regnetx_002", "regnety_004", "repvgg_a0", "res2net50_26w_4s", "resmlp_12_224", "resnest14d",
    "resnet50", "resnetv2_50", "rexnet_100", "selecsls42", "sequencer2d_s", "seresnet50", "skresnet18",
    "starnet_s1", "swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256", "tf_efficientnetv2_b0",
    "tiny_vit_5m_224", "tnt_s_patch16_224", "twins_pcpvt_small", "vgg11_bn", "visformer_tiny",
    "vit_tiny_patch16_224", "volo_d1_224", "vovnet39a", "xception41", "xcit_nano_12_p16_224",
)
# fmt: on


def networks(wanted: Sequence[str]) -> list[str]:
    """The wanted networks as backbones, ``timm:NAME``; all of the table for none.

    Raises:
        ConfigError: A name is not known, or timm is not installed.
    """
    from torchvision import models

    timm = timm_for("names", list(wanted))
    offered = {"torchvision": models.list_models(module=models), "timm": timm.list_models()}
    known = [f"{library}:{name}" for library, names in offered.items() for name in names]
    for name in wanted:
        if name not in known:
            hint = did_you_mean(name, known)
            raise ConfigError("names", name, f"timm:NAME or torchvision:NAME of a classification network{hint}")
    return list(wanted) or [f"timm:{name}" for name in TIMM] + [
        f"torchvision:{name}" for name in offered["torchvision"]
    ]
