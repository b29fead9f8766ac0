"""What happens on each gesture: acknowledge, then one action or one view."""
