"""Pictures, movies and files of results: fields, forecasts, training histories and macro runs."""
