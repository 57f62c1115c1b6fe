"""A procedurally generated house, a robot that explores it, and the noisy sensors that it carries. Knows no ROS."""
