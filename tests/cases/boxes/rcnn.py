"""A small detector of torchvision's with random weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.rpn import AnchorGenerator


def build() -> nn.Module:
    """One layer, two classes and the background; of each image ten objects at most."""
    torch.manual_seed(0)
    backbone: Any = nn.Sequential(nn.Conv2d(3, 16, 8, stride=8), nn.ReLU())
    backbone.out_channels = 16
    anchors = AnchorGenerator(((8, 16),), ((1.0,),))
    found = FasterRCNN(
        backbone, 3, min_size=64, max_size=64, rpn_anchor_generator=anchors, rpn_post_nms_top_n_test=20,
        box_score_thresh=0.3, box_detections_per_img=10,
    )  # fmt: skip
    for weight in found.roi_heads.box_predictor.parameters():
        nn.init.normal_(weight, std=0.5)  # so that scores differ
    return found
