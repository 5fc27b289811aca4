"""What came out: metrics, intervals, the audit table, image quality and the contact sheet."""

from fair_diffusion.audit.contact_sheet import SheetRow, contact_sheet
from fair_diffusion.audit.distance import cosine_distances, pixel_differences
from fair_diffusion.audit.intervals import simultaneous, verdict, wilson
from fair_diffusion.audit.metrics import (
    deviation_ratio,
    fd,
    kl,
    noise_floor,
    pairwise_bias,
    total_variation,
    two_group_noise_floor,
)
from fair_diffusion.audit.quality import Kid, kid
from fair_diffusion.audit.table import JOINT, Row, audit_rows, deviation, joint_groups, joint_labels

__all__ = [
    "JOINT",
    "Kid",
    "Row",
    "SheetRow",
    "audit_rows",
    "contact_sheet",
    "cosine_distances",
    "deviation",
    "deviation_ratio",
    "fd",
    "joint_groups",
    "joint_labels",
    "kid",
    "kl",
    "noise_floor",
    "pairwise_bias",
    "pixel_differences",
    "simultaneous",
    "total_variation",
    "two_group_noise_floor",
    "verdict",
    "wilson",
]
