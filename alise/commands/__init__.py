"""What the command line offers beside the service: keys, links, the audit trail, taking over the data of ALISE 1."""
