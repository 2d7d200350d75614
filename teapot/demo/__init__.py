"""`teapot demo`: a whole small site on one machine, for a look at it and for the tests. No part of a service that is in use."""
