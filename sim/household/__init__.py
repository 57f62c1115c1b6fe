"""Households of ALFRED: what stands where and who puts it where next, and a sensor that sees it badly. Knows no ROS."""
