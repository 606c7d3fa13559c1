mod failures;
mod labels;
mod series;
mod world;
