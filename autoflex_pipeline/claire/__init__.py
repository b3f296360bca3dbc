"""What Claire should hold, how it differs from what Claire has, and getting it there.

``documents`` makes the projection of an appointment from staging, ``difference`` what is to be sent of it,
``policies`` decide whether it may be sent, ``client`` is all that is known about Claire's API, ``delivery`` puts the
parts together for one dealer.
"""
