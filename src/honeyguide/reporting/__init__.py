"""Results as a page: documents come in, one HTML file goes out, nothing is computed anew."""
