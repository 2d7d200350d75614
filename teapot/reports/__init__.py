"""What the site reports of its storage: `teapot srr`, `teapot star`. Commands of their own, as an account of their own, never as root."""
