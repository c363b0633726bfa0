import cProfile,pstats,time
from pathlib import Path
def test_x(tmp_path):
    from sensors.synth.synthesize import synthesize
    pr=cProfile.Profile(time.process_time); pr.enable()
    synthesize(tmp_path/'a', scenes=1, seed=5, workers=1, town="harbour", duration_s=1.2, width_px=160, height_px=90, azimuths=270)
    pr.disable(); 
    with open('/tmp/prof.txt','w') as f: pstats.Stats(pr,stream=f).sort_stats('cumtime').print_stats(60)
