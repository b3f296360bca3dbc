"""The sandbox's Autoflex 10: the REST API of the contract page, its fault switches, and a page to edit orders."""
