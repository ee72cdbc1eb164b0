"""The process: settings, routes, endpoints, live hub, embedded servers, command line."""
