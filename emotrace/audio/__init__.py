"""The one way in which an audio file becomes samples, and the grid of frames laid over them."""
