"""A city as a world: the street graph of Touchdown, what stands along it, and a robot that drives there."""
