"""Music corpora; each one provides the same two tables, clips and annotations.

To add a corpus, write two things:

- ``emotrace/corpora/NAME.py`` with a class ``Corpus`` that implements
  `emotrace.corpora.corpus.BaseCorpus`;
- a subclass of ``CorpusSettings`` in `emotrace.config.corpora`: the block of the corpus in the
  config. Its ``name`` is NAME, and its other fields are those of the class ``Corpus``.

There is no other list of corpora. Then run ``python -m emotrace.config.generated_files``.
"""
