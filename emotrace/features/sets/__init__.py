"""Feature sets; each is one file, named like the set.

A feature set is a module with three things:

``LIBRARIES``
    Names of the distributions whose versions determine its values.
``column_names()``
    Names of its features, as commonly used.
``extract_frames(sound)``
    Values of one clip, ``(frames, features)`` float32, for a
    `emotrace.features.sound.Sound`.
"""
