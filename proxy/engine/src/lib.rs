//! Plan to Generation, the request pipeline, reload, drain.
