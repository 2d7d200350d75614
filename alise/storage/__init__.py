"""What ALISE keeps: links, keys, audit, browser sessions."""
