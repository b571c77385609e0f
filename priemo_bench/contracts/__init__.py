"""All that a plug-in may rely on: image, attack, victim, data set, defense and metric."""
