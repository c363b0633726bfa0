"""Multi-object tracking: detections of several sensors, at their own times, become smoothed tracks with covariances."""
