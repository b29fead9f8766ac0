"""A long campaign against an organisation of DevRev's that fails."""
