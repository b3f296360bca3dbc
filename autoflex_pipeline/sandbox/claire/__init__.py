"""The sandbox's Claire: the import API of the contract page, its fault switches, and the page of the reception desk."""
