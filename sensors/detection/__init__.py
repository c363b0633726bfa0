"""Detection from raw sensors: rows of the table `detections` from lidar sweeps, radar returns and camera boxes.

ground.py            height of the ground below a sweep
clusters.py          range-adaptive clusters at several scales
size_prior.py        how large cars, trucks, people and bicycles are
box_fit.py           the oriented box that explains the seen sides of a cluster
evidence.py          what else speaks for a box: free space, neighbours
lidar.py             all of that: a sweep in, boxes out
radar.py             radar points in, moving and standing clusters out
camera_file.py       2D boxes from a file
camera_onnx.py       2D boxes from an ONNX model (extra `onnxruntime`)
simulated_camera.py  noisy 2D boxes from truth, for ablations
sweeps.py            which loader reads the point files of a format
detect.py            a log in, the table `detections` out
"""
