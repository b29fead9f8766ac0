"""The recording that README shows: an alert becomes an incident, and is closed, in twenty seconds."""
