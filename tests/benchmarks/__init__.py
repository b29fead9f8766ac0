"""How fast it is: counted where that can be, else against bare frameworks in the same run."""
