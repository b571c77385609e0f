"""Whether a protected photo is still good for what photos are for: metrics that look by networks.

Each is installed on request (`priemo-bench install NAME`) and computed where a spec names it under
`metrics`.
"""
