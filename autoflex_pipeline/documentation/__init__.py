"""The pages of the documentation that are made from the program: commands, configuration, the data dictionary.

``python -m autoflex_pipeline.documentation`` writes them into docs/ anew; a test fails when they are not.
"""
