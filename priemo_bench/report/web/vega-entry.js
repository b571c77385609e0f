// The parts of Vega that the charts of a page call, as one script without eval:
//   npm i esbuild@0.28.2 vega@6.4.0 vega-lite@6.4.3 vega-interpreter@2.3.2
//   npx esbuild vega-entry.js --bundle --minify --format=iife --global-name=vegaLib \
//     --alias:vega=vega-util --legal-comments=none --charset=ascii --outfile=vega.js
// and vega.LICENSE in a comment before it (vega-lite takes four functions of vega-util from vega).
import { transforms } from "vega-dataflow";
import { extend } from "vega-util";
import * as transform from "vega-transforms";
import * as view from "vega-view-transforms";
import * as encode from "vega-encode";
extend(transforms, transform, view, encode);
export { parse } from "vega-parser";
export { View } from "vega-view";
export { expressionInterpreter } from "vega-interpreter";
export { compile } from "vega-lite";
