"""The figures, each one public function from a table (a DataFrame) to matplotlib's Axes.

All take `figure=`, a Figure or SubFigure to draw into; without one pyplot makes it, as seaborn
does.
Seaborn is slow to import: only what draws imports it.
"""
