"""Files that text comes from: on a package index, on web servers, on this machine."""
