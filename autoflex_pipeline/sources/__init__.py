"""How DMS records get here. Each source reads its vendor and hands over records; storing them is the same for all.

``autoflex_api/`` knows the API of the vendor. ``needs`` and ``rereading`` say what is wanted, ``storing`` keeps what
came verbatim, ``absence`` judges what is gone. Another source (files, pushed events) makes the same ``Extract``
objects.
"""
