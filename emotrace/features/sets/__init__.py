"""Feature sets: one file each, and the file's name is the set's name.

A feature set is a module with three things:

``LIBRARIES``
    Names of the distributions whose version decides its values.
``column_names()``
    The common names of its features.
``extract_frames(sound)``
    Values of one clip, ``(frames, features)`` float32, for a
    `emotrace.features.sound.Sound`.
"""
