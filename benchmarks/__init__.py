"""How fast the portal is, measured on its real processes and told as ratios from the same run.

Seconds depend on the machine; a ratio to something plain beside it travels. docs/performance.md
keeps the table of a run.
"""
