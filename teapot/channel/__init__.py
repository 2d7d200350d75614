"""The messages that cross between Teapot's processes: their forms and their bounds. No policy, no loops of its own."""
