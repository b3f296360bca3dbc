"""An Autoflex and a Claire to run locally, strict as their contract pages and able to misbehave on request.

Here belong the two servers, the generator of dealers, and what keeps them lively. Nothing of the pipeline's own code is
imported: the sandbox is the judge of the pipeline, and a judge does not share the defendant's rules.
"""
