"""Where text comes from: package index, web servers, local files."""
