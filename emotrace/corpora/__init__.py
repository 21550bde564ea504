"""Corpora: each becomes the same two tables, clips and annotations.

To add a corpus, write two things:

- ``emotrace/corpora/NAME.py`` with a class ``Corpus``, which answers the questions of
  `emotrace.corpora.corpus.BaseCorpus`;
- its block of the config, a subclass of ``CorpusSettings`` in `emotrace.config.corpora`, whose
  ``name`` is NAME and whose other fields are those of the class.

Nothing else lists the corpora. Then run ``python -m emotrace.config.generated_files``.
"""
