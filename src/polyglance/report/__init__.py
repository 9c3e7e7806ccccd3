"""Reports: tables and plots in one HTML file that needs no network."""
