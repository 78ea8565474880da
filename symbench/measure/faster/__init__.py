"""The same network, faster: what ``numerics.mode`` makes of a copy of a model, which itself stays as it is.

``flow`` sees which layer feeds which, ``fold`` merges layers by it, ``runner`` runs the copy, ``replay`` as a graph.
"""
