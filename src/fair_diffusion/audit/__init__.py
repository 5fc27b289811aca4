"""What came out: metrics, intervals, the audit table, image quality and the contact sheet."""

from fair_diffusion.audit.association import Association, association
from fair_diffusion.audit.bootstrap import bootstrap_mean
from fair_diffusion.audit.comparison import Difference, compare, compare_paired
from fair_diffusion.audit.contact_sheet import SheetRow, contact_sheet
from fair_diffusion.audit.correction import Corrected, correct
from fair_diffusion.audit.distance import cosine_distances, pixel_differences
from fair_diffusion.audit.intervals import simultaneous, verdict, wilson
from fair_diffusion.audit.metrics import (
    deviation_ratio,
    fd,
    kl,
    noise_floor,
    noise_floors,
    pairwise_bias,
    total_variation,
    two_group_noise_floor,
)
from fair_diffusion.audit.prediction_powered import Predicted, predict
from fair_diffusion.audit.quality import Kid, kid
from fair_diffusion.audit.stopping import anytime, enough
from fair_diffusion.audit.summary import Deviation, Line, deviations, summarize
from fair_diffusion.audit.table import JOINT, Row, audit_rows, deviation, joint_groups, joint_labels
from fair_diffusion.audit.tally import Tally

__all__ = [
    "JOINT",
    "Association",
    "Corrected",
    "Deviation",
    "Difference",
    "Kid",
    "Line",
    "Predicted",
    "Row",
    "SheetRow",
    "Tally",
    "anytime",
    "association",
    "audit_rows",
    "bootstrap_mean",
    "compare",
    "compare_paired",
    "contact_sheet",
    "correct",
    "cosine_distances",
    "deviation",
    "deviation_ratio",
    "deviations",
    "enough",
    "fd",
    "joint_groups",
    "joint_labels",
    "kid",
    "kl",
    "noise_floor",
    "noise_floors",
    "pairwise_bias",
    "pixel_differences",
    "predict",
    "simultaneous",
    "summarize",
    "total_variation",
    "two_group_noise_floor",
    "verdict",
    "wilson",
]
