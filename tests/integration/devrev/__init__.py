"""What Tocsin does with DevRev."""
