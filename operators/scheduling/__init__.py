"""When runs start and what becomes of late ones: parameters of the form, deadlines, alerts, the listener."""
