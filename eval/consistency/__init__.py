"""How far answers contradict each other or the laws of motion: no truth is needed, so it can be told of any recorded drive.

    consistency.implausible_speed_rate          answered places that imply a speed above the limit of the class; lower is better
    consistency.implausible_acceleration_rate   likewise for acceleration
    consistency.joint_single.distance           place and distance asked apart say the same; higher is better
    consistency.joint_single.bearing            place and bearing likewise
    consistency.clock_degrees                   the clock hour is that of the bearing; higher is better
    consistency.PROBE.agreement                 the question asked in another way is answered alike; higher is better
    consistency.PROBE.type.T.agreement          likewise, of a type: pair_distance with swapped roles is d(A,B) = d(B,A)

All are shares in [0, 1] of the cases where all answers that are compared could be read; over no case null, n = 0. Numbers are
alike where the second is within the success band of the type around the first (`eval.scoring`), all else where they are equal.
Who always answers the same is consistent too: read these beside accuracy.
"""

from eval.consistency.probes import probe_samples
from eval.consistency.single_run import consistency_samples

__all__ = ["consistency_samples", "probe_samples"]
