// The page that the servers show at "/": it asks for /figures each second, and draws them.
#pragma once

#include <string_view>

inline constexpr std::string_view kPage = R"html(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Faultline, live</title>
<style>
:root{--bg:#fbfaf7;--ink:#1d2430;--soft:#6b7280;--line:#e3e0d8;--anonymous:#d1495b;--cached:#2e86ab;--other:#8a7bb5;--free:#dfe7e2}
@media(prefers-color-scheme:dark){:root{--bg:#14171d;--ink:#e8e6e1;--soft:#98a1ae;--line:#2b303a;--free:#2a332f}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:920px;margin:0 auto;padding:28px 20px}h1{font-size:24px;margin:0}p{color:var(--soft);margin:2px 0 22px}
.row{display:flex;gap:14px;flex-wrap:wrap;margin-bottom:20px}.card{flex:1;min-width:130px;border:1px solid var(--line);border-radius:10px;padding:10px 14px}
.card b{display:block;font-size:22px;font-variant-numeric:tabular-nums}.card span{color:var(--soft);font-size:13px}
#bar{display:flex;height:26px;border-radius:6px;overflow:hidden;background:var(--free)}#bar i{transition:width .4s}
.key{color:var(--soft);font-size:13px;margin:6px 0 14px}.key i{display:inline-block;width:11px;height:11px;border-radius:3px;margin:0 5px 0 12px}
canvas{width:100%;height:110px;border:1px solid var(--line);border-radius:8px;margin-bottom:22px}
table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}th{text-align:left;color:var(--soft);font-weight:500;font-size:13px}
td,th{padding:4px 8px;border-bottom:1px solid var(--line)}.n{text-align:right}#lost{color:#d1495b}
</style></head><body><main>
<h1>Faultline, live</h1><p>Served by <b id="server"></b> on the machine itself. <span id="lost"></span></p>
<div class="row"><div class="card"><b id="up"></b><span>up</span></div><div class="card"><b id="free"></b><span>memory free</span></div>
<div class="card"><b id="connections"></b><span>connections</span></div><div class="card"><b id="rate"></b><span>requests per second</span></div></div>
<div id="bar"></div><div class="key" id="key"></div>
<canvas id="past" width="1760" height="220"></canvas>
<table><thead><tr><th class="n">PID</th><th>Name</th><th>State</th><th class="n">Threads</th><th class="n">Resident</th></tr></thead><tbody id="processes"></tbody></table>
</main><script>
const $=id=>document.getElementById(id),size=k=>k<1024?k+' KiB':(k/1024).toFixed(k<10240?1:0)+' MiB';
const parts=[['anonymous','programs'],['cached','page cache'],['other','kernel']],past=[];let before;
const color=name=>getComputedStyle(document.documentElement).getPropertyValue('--'+name);
$('key').innerHTML=[...parts,['free','free']].map(([k,t])=>`<i style="background:var(--${k})"></i>${t}`).join('');
function draw(){const c=$('past').getContext('2d'),w=1760,h=220,step=w/120;c.clearRect(0,0,w,h);
 past.forEach((f,i)=>{let y=h;for(const[k]of parts){const part=f[k]/f.total*h;c.fillStyle=color(k);c.fillRect(w-(past.length-i)*step,y-part,step+1,part);y-=part}})}
function show(f){f.other=f.total-f.free-f.cached-f.anonymous;past.push(f);if(past.length>120)past.shift();
 $('server').textContent=f.server;$('up').textContent=f.uptime<120?f.uptime.toFixed(0)+' s':(f.uptime/60).toFixed(1)+' min';
 $('free').textContent=size(f.free);$('connections').textContent=f.connections;
 if(before)$('rate').textContent=((f.requests-before.requests)/Math.max(.001,f.uptime-before.uptime)).toFixed(1);before=f;
 $('bar').innerHTML=parts.map(([k])=>`<i style="background:var(--${k});width:${f[k]/f.total*100}%"></i>`).join('');draw();
 $('processes').replaceChildren(...f.processes.map(p=>{const row=document.createElement('tr');
  [[p.pid,'n'],[p.name],[p.state],[p.threads,'n'],[p.resident?size(p.resident):'','n']].forEach(([t,c])=>{const d=document.createElement('td');d.textContent=t;if(c)d.className=c;row.append(d)});return row}))}
async function ask(){try{show(await(await fetch('/figures',{cache:'no-store'})).json());$('lost').textContent=''}catch(e){$('lost').textContent='No answer.'}setTimeout(ask,1000)}
ask();
</script></body></html>
)html";
