mod daemon;
mod failures;
mod labels;
mod series;
mod told;
mod world;
